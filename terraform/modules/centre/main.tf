# The centre: nats-server and a relay on each of its hosts.

locals {
  # A group of 3 may take seconds to choose a leader.
  relay = merge(var.relay, {
    lease_seconds = coalesce(var.relay.lease_seconds, length(var.hosts) > 1 ? 30 : 10)
  })
  # By name, so that the order in which they are written down means nothing.
  ordered    = values({ for host in var.hosts : host.name => host })
  admin_urls = [for host in local.ordered : "http://${host.address}:${var.relay.admin_port}"]
  hosts = [for i, host in local.ordered : {
    host          = host
    ready_address = "${host.address}:${var.relay.admin_port}"
    part_config = templatefile("${path.module}/templates/relay.toml.tftpl", {
      name     = host.name
      address  = host.address
      relay    = local.relay
      replicas = length(local.ordered)
      regions  = var.regions
      # Each relay prefers its own host's server.
      nats_urls = [for j in range(length(local.ordered)) : "tls://${local.ordered[(i + j) % length(local.ordered)].address}:4222"]
    })
  }]
}

module "group" {
  source               = "../group"
  name                 = "centre"
  part                 = "relay"
  hosts                = local.hosts
  binaries             = var.binaries
  secrets              = var.secrets
  max_file_store_bytes = var.max_file_store_bytes
  hold                 = var.hold
  admin_urls           = local.admin_urls
}

# An event's shard is part of where it is found again.
resource "terraform_data" "shards" {
  input = var.relay.shards
  # A centre that did not come up was not founded.
  depends_on = [module.group]
  lifecycle {
    ignore_changes = [input]
  }
}

# Goes first when the centre is destroyed.
resource "terraform_data" "departure" {
  lifecycle {
    precondition {
      condition     = var.relay.shards == terraform_data.shards.output
      error_message = "A centre keeps the number of shards that it was founded with."
    }
  }
  input = {
    force = var.force_destroy
    ssh   = module.group.ssh[0]
  }
  depends_on = [module.group]

  provisioner "remote-exec" {
    when   = destroy
    inline = [self.input.force ? "true" : "${self.input.ssh.sudo}/opt/floodgate/bin/floodgate-host centre-owes-nothing"]
    connection {
      host        = self.input.ssh.host
      port        = self.input.ssh.port
      user        = self.input.ssh.user
      private_key = self.input.ssh.private_key_file == null ? null : file(self.input.ssh.private_key_file)
      host_key    = self.input.ssh.host_key
    }
  }
}
