# A region: nats-server and a gateway on each of its hosts.

locals {
  # A group of 3 may take seconds to choose a leader.
  gateway = merge(var.gateway, {
    publish_timeout_ms = coalesce(var.gateway.publish_timeout_ms, length(var.hosts) > 1 ? 20000 : 5000)
  })
  # By name, so that the order in which they are written down means nothing.
  ordered = values({ for host in var.hosts : host.name => host })
  # Each gateway prefers its own host's server.
  nats_urls = [for i, host in local.ordered : [
    for j in range(length(local.ordered)) : "tls://${local.ordered[(i + j) % length(local.ordered)].address}:4222"
  ]]
  hosts = [for i, host in local.ordered : {
    host          = host
    peers         = [for peer in local.ordered : "${peer.address}:6222" if peer.name != host.name]
    ready_address = "${host.address}:${var.gateway.metrics_port}"
    nats_config = templatefile("${path.module}/../host/templates/nats.conf.tftpl", {
      name                 = host.name
      group                = var.name
      routes               = [for peer in local.ordered : "${peer.address}:6222"]
      max_file_store_bytes = var.max_file_store_bytes
    })
    part_config = templatefile("${path.module}/templates/gateway.toml.tftpl", {
      name      = host.name
      region    = var.name
      address   = host.address
      gateway   = local.gateway
      nats_urls = local.nats_urls[i]
    })
  }]
}

# How many hosts the group was founded with; stays.
resource "terraform_data" "founded" {
  input = length(var.hosts)
  lifecycle {
    ignore_changes = [input]
  }
}

# One after the other: programs are uploaded to all at once, but the next host is touched only when the one before is
# ready again.
module "host_1" {
  source          = "../host"
  name            = local.hosts[0].host.name
  host            = local.hosts[0].host
  part            = "gateway"
  binaries        = var.binaries
  nats_config     = local.hosts[0].nats_config
  part_config     = local.hosts[0].part_config
  ready_address   = local.hosts[0].ready_address
  peers           = local.hosts[0].peers
  secrets_dir     = "${var.secrets.dir}/${local.hosts[0].host.name}"
  secrets_version = var.secrets.version
  after           = var.centre_ready
}

module "host_2" {
  count           = length(var.hosts) > 1 ? 1 : 0
  source          = "../host"
  name            = local.hosts[1].host.name
  host            = local.hosts[1].host
  part            = "gateway"
  binaries        = var.binaries
  nats_config     = local.hosts[1].nats_config
  part_config     = local.hosts[1].part_config
  ready_address   = local.hosts[1].ready_address
  peers           = local.hosts[1].peers
  secrets_dir     = "${var.secrets.dir}/${local.hosts[1].host.name}"
  secrets_version = var.secrets.version
  after           = module.host_1.install
}

module "host_3" {
  count           = length(var.hosts) > 2 ? 1 : 0
  source          = "../host"
  name            = local.hosts[2].host.name
  host            = local.hosts[2].host
  part            = "gateway"
  binaries        = var.binaries
  nats_config     = local.hosts[2].nats_config
  part_config     = local.hosts[2].part_config
  ready_address   = local.hosts[2].ready_address
  peers           = local.hosts[2].peers
  secrets_dir     = "${var.secrets.dir}/${local.hosts[2].host.name}"
  secrets_version = var.secrets.version
  after           = module.host_2[0].install
}

locals {
  installs = concat([module.host_1.install], module.host_2[*].install, module.host_3[*].install)
  ssh      = concat([module.host_1.ssh], module.host_2[*].ssh, module.host_3[*].ssh)
}

# What a host is asked to remember once the group may go; without it nothing is removed from a host. Made anew, a removal that
# was given up is over.
resource "terraform_data" "may_go" {
  count      = length(var.hosts)
  input      = local.ssh[count.index]
  depends_on = [terraform_data.ready]

  lifecycle {
    precondition {
      condition     = length(var.hosts) == terraform_data.founded.output
      error_message = "A group keeps the number of hosts that it was founded with."
    }
  }
  connection {
    host        = self.input.host
    port        = self.input.port
    user        = self.input.user
    private_key = self.input.private_key_file == null ? null : file(self.input.private_key_file)
    host_key    = self.input.host_key
    timeout     = "30s"
  }
  provisioner "remote-exec" {
    inline = ["${self.input.sudo}/opt/floodgate/bin/floodgate-host start"]
  }
  provisioner "remote-exec" {
    when   = destroy
    inline = ["${self.input.sudo}/opt/floodgate/bin/floodgate-host may-go"]
  }
}

# A group that is founded becomes ready only when most of it is there.
resource "terraform_data" "ready" {
  count            = length(var.hosts)
  triggers_replace = local.installs

  connection {
    host        = local.ssh[count.index].host
    port        = local.ssh[count.index].port
    user        = local.ssh[count.index].user
    private_key = local.ssh[count.index].private_key_file == null ? null : file(local.ssh[count.index].private_key_file)
    host_key    = local.ssh[count.index].host_key
  }
  # Started as well: a removal that was given up may have stopped gateways.
  provisioner "remote-exec" {
    inline = [
      "${local.ssh[count.index].sudo}/opt/floodgate/bin/floodgate-host start",
      "${local.ssh[count.index].sudo}/opt/floodgate/bin/floodgate-host wait-ready",
    ]
  }
}

# Goes first when the region is removed. Asks the centre twice: with the gateways up, so that a region whose link is down
# goes on serving; and when they have stopped, after which nothing more can come.
resource "terraform_data" "departure" {
  input = {
    region = var.name
    force  = var.force_destroy
    centre = var.centre_ssh
    # The centre is not changed before this has gone.
    after = var.centre_ready
    # Three of them, as each provisioner has one host: stopping twice does no harm.
    hosts = [for i in range(3) : local.ssh[min(i, length(local.ssh) - 1)]]
  }
  depends_on = [terraform_data.may_go]

  provisioner "remote-exec" {
    when   = destroy
    inline = [self.input.force ? "true" : "${self.input.centre.sudo}/opt/floodgate/bin/floodgate-host region-is-followed ${self.input.region} 30"]
    connection {
      host        = self.input.centre.host
      port        = self.input.centre.port
      user        = self.input.centre.user
      private_key = self.input.centre.private_key_file == null ? null : file(self.input.centre.private_key_file)
      host_key    = self.input.centre.host_key
    }
  }
  provisioner "remote-exec" {
    when   = destroy
    inline = [self.input.force ? "true" : "${self.input.hosts[0].sudo}/opt/floodgate/bin/floodgate-host stop gateway"]
    connection {
      host        = self.input.hosts[0].host
      port        = self.input.hosts[0].port
      user        = self.input.hosts[0].user
      private_key = self.input.hosts[0].private_key_file == null ? null : file(self.input.hosts[0].private_key_file)
      host_key    = self.input.hosts[0].host_key
    }
  }
  provisioner "remote-exec" {
    when   = destroy
    inline = [self.input.force ? "true" : "${self.input.hosts[1].sudo}/opt/floodgate/bin/floodgate-host stop gateway"]
    connection {
      host        = self.input.hosts[1].host
      port        = self.input.hosts[1].port
      user        = self.input.hosts[1].user
      private_key = self.input.hosts[1].private_key_file == null ? null : file(self.input.hosts[1].private_key_file)
      host_key    = self.input.hosts[1].host_key
    }
  }
  provisioner "remote-exec" {
    when   = destroy
    inline = [self.input.force ? "true" : "${self.input.hosts[2].sudo}/opt/floodgate/bin/floodgate-host stop gateway"]
    connection {
      host        = self.input.hosts[2].host
      port        = self.input.hosts[2].port
      user        = self.input.hosts[2].user
      private_key = self.input.hosts[2].private_key_file == null ? null : file(self.input.hosts[2].private_key_file)
      host_key    = self.input.hosts[2].host_key
    }
  }
  provisioner "remote-exec" {
    when   = destroy
    inline = [self.input.force ? "true" : "${self.input.centre.sudo}/opt/floodgate/bin/floodgate-host region-holds-nothing ${self.input.region} 120"]
    connection {
      host        = self.input.centre.host
      port        = self.input.centre.port
      user        = self.input.centre.user
      private_key = self.input.centre.private_key_file == null ? null : file(self.input.centre.private_key_file)
      host_key    = self.input.centre.host_key
    }
  }
}
