# A region: nats-server and a gateway on each of its hosts.

locals {
  # A group of 3 may take seconds to choose a leader.
  gateway = merge(var.gateway, {
    publish_timeout_ms = coalesce(var.gateway.publish_timeout_ms, length(var.hosts) > 1 ? 20000 : 5000)
    # Several hosts are behind a balancer, and with a TCP balancer all senders have its address.
    address_share_percent = coalesce(var.gateway.address_share_percent, length(var.hosts) > 1 ? 100 : 50)
  })
  # By name, so that the order in which they are written down means nothing.
  ordered = values({ for host in var.hosts : host.name => host })
  # Each gateway prefers its own host's server.
  nats_urls = [for i, host in local.ordered : [
    for j in range(length(local.ordered)) : "tls://${local.ordered[(i + j) % length(local.ordered)].address}:4222"
  ]]
  hosts = [for i, host in local.ordered : {
    host          = host
    ready_address = "${host.address}:${var.gateway.metrics_port}"
    part_config = templatefile("${path.module}/templates/gateway.toml.tftpl", {
      name      = host.name
      region    = var.name
      address   = host.address
      gateway   = local.gateway
      nats_urls = local.nats_urls[i]
    })
  }]
}

module "group" {
  source               = "../group"
  name                 = var.name
  part                 = "gateway"
  hosts                = local.hosts
  binaries             = var.binaries
  secrets              = var.secrets
  max_file_store_bytes = var.max_file_store_bytes
  hold                 = var.hold
  after                = var.centre_ready
}

# Goes first when the region is removed. Asks the centre twice: with the gateways up, so that a region whose
# link is down goes on serving; and when they have stopped, after which nothing more can come.
resource "terraform_data" "departure" {
  input = {
    region = var.name
    force  = var.force_destroy
    centre = var.centre_ssh
    # The centre is not changed before this has gone.
    after = var.centre_ready
    # Three of them, as each provisioner has one host: stopping twice does no harm.
    hosts = [for i in range(3) : module.group.ssh[min(i, length(module.group.ssh) - 1)]]
  }
  depends_on = [module.group]

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
