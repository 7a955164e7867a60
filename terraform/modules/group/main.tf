# A group of hosts that keep each other's streams: what region and centre have in common.
# Only `part` tells them apart.

locals {
  hosts = [for entry in var.hosts : merge(entry, {
    peers = [for peer in var.hosts : "${peer.host.address}:6222" if peer.host.name != entry.host.name]
    nats_config = templatefile("${path.module}/../host/templates/nats.conf.tftpl", {
      name                 = entry.host.name
      group                = var.name
      routes               = [for peer in var.hosts : "${peer.host.address}:6222"]
      max_file_store_bytes = var.max_file_store_bytes
    })
  })]
}

# How many hosts the group was founded with; stays.
resource "terraform_data" "founded" {
  input = length(var.hosts)
  lifecycle {
    ignore_changes = [input]
  }
}

# One after the other: programs are uploaded to all at once, but the next host is touched only when
# the one before is ready again.
module "host_1" {
  source          = "../host"
  name            = local.hosts[0].host.name
  host            = local.hosts[0].host
  part            = var.part
  binaries        = var.binaries
  nats_config     = local.hosts[0].nats_config
  part_config     = local.hosts[0].part_config
  admin_urls      = var.admin_urls
  ready_address   = local.hosts[0].ready_address
  peers           = local.hosts[0].peers
  secrets_dir     = "${var.secrets.dir}/${local.hosts[0].host.name}"
  secrets_version = var.secrets.version
  hold            = var.hold
  after           = var.after
}

module "host_2" {
  count           = length(var.hosts) > 1 ? 1 : 0
  source          = "../host"
  name            = local.hosts[1].host.name
  host            = local.hosts[1].host
  part            = var.part
  binaries        = var.binaries
  nats_config     = local.hosts[1].nats_config
  part_config     = local.hosts[1].part_config
  admin_urls      = var.admin_urls
  ready_address   = local.hosts[1].ready_address
  peers           = local.hosts[1].peers
  secrets_dir     = "${var.secrets.dir}/${local.hosts[1].host.name}"
  secrets_version = var.secrets.version
  hold            = var.hold
  after           = module.host_1.install
}

module "host_3" {
  count           = length(var.hosts) > 2 ? 1 : 0
  source          = "../host"
  name            = local.hosts[2].host.name
  host            = local.hosts[2].host
  part            = var.part
  binaries        = var.binaries
  nats_config     = local.hosts[2].nats_config
  part_config     = local.hosts[2].part_config
  admin_urls      = var.admin_urls
  ready_address   = local.hosts[2].ready_address
  peers           = local.hosts[2].peers
  secrets_dir     = "${var.secrets.dir}/${local.hosts[2].host.name}"
  secrets_version = var.secrets.version
  hold            = var.hold
  after           = module.host_2[0].install
}

locals {
  installs = concat([module.host_1.install], module.host_2[*].install, module.host_3[*].install)
  ssh      = concat([module.host_1.ssh], module.host_2[*].ssh, module.host_3[*].ssh)
}

# What a host is asked to remember once the group may go; without it nothing is removed from a host.
# Made anew, a removal that was given up is over.
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
