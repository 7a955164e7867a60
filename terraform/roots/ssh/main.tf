# A deployment on hosts that are reachable by SSH. Needs no provider but Terraform's own.

terraform {
  required_version = ">= 1.8"
}

locals {
  binaries = {
    floodgate   = { path = var.binaries.floodgate, sha256 = filesha256(var.binaries.floodgate) }
    nats_server = { path = var.binaries.nats_server, sha256 = filesha256(var.binaries.nats_server) }
  }
  # Each host with what `ssh` says for all of them; by name, so that the order in which they are
  # written down means nothing.
  hosts = { for name, hosts in merge({ for name, region in var.regions : name => region.hosts }, { "" = var.centre.hosts }) :
    name => values({ for host in hosts : host.name => merge(host, {
      ssh_port         = try(coalesce(host.ssh_port, var.ssh.ssh_port), 22)
      ssh_user         = try(coalesce(host.ssh_user, var.ssh.ssh_user), "root")
      private_key_file = try(coalesce(host.private_key_file, var.ssh.private_key_file), null)
    }) })
  }
  # A region's streams hold what comes in while the centre is out of reach, besides
  # the history that they keep.
  max_bytes = { for name, region in var.regions : name => {
    for lane, share in region.lane_shares :
    lane => ceil((region.outage_hours * 3600 + var.centre.relay.kept_seconds) * region.events_per_second * region.event_bytes * share)
  } }
  secrets_hosts = { for name, region in var.regions : name => {
    for host in region.hosts : host.name => concat([host.address], region.nats_names)
  } }
}

module "secrets" {
  source      = "../../modules/secrets"
  secrets_dir = var.secrets_dir
  floodgate   = abspath(pathexpand(coalesce(var.binaries.local_floodgate, var.binaries.floodgate)))
  deployment  = var.deployment
  centre = {
    rotation = var.centre.rotation
    hosts    = { for host in var.centre.hosts : host.name => [host.address] }
  }
  regions = { for name, region in var.regions : name => {
    rotation     = region.rotation
    hosts        = local.secrets_hosts[name]
    sender_names = region.gateway.tls ? region.sender_names : []
  } }
}

module "centre" {
  source               = "../../modules/centre"
  hosts                = local.hosts[""]
  binaries             = local.binaries
  secrets              = module.secrets.centre
  relay                = var.centre.relay
  max_file_store_bytes = var.centre.max_file_store_bytes
  hold                 = var.centre.hold
  force_destroy        = var.force_destroy
  regions = { for name, region in var.regions : name => {
    nats_urls = coalesce(region.nats_urls, [for host in local.hosts[name] : "tls://${host.address}:4222"])
    replicas  = length(region.hosts)
    max_bytes = local.max_bytes[name]
  } }
}

module "region" {
  source               = "../../modules/region"
  for_each             = var.regions
  name                 = each.key
  hosts                = local.hosts[each.key]
  binaries             = local.binaries
  secrets              = module.secrets.region[each.key]
  gateway              = each.value.gateway
  max_file_store_bytes = sum(values(local.max_bytes[each.key])) + var.store_reserve_bytes
  hold                 = each.value.hold
  centre_ssh           = module.centre.ssh
  force_destroy        = var.force_destroy
  centre_ready         = module.centre.ready
}

# Goes first when all of it is destroyed: before any host is touched, every region and the centre are asked.
resource "terraform_data" "end" {
  input = {
    centre = module.centre.ssh
    ask = join(" && ", var.force_destroy ? ["true"] : concat(
      [for name in keys(var.regions) : "${module.centre.ssh.sudo}/opt/floodgate/bin/floodgate-host region-is-followed ${name} 30"],
      ["${module.centre.ssh.sudo}/opt/floodgate/bin/floodgate-host centre-owes-nothing"],
    ))
  }
  depends_on = [module.region, module.centre]

  provisioner "remote-exec" {
    when   = destroy
    inline = [self.input.ask]
    connection {
      host        = self.input.centre.host
      port        = self.input.centre.port
      user        = self.input.centre.user
      private_key = self.input.centre.private_key_file == null ? null : file(self.input.centre.private_key_file)
      host_key    = self.input.centre.host_key
    }
  }
}
