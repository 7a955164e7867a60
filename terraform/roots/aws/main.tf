# Two regions and a centre on AWS. What goes on the hosts is the same as everywhere:
# roots/ssh, used as a module. A provider is bound to one AWS region, so that another Floodgate region is
# another provider and another two modules.

terraform {
  required_version = ">= 1.8"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.0"
    }
  }
}

provider "aws" {
  alias  = "eu"
  region = var.eu.aws_region
}

provider "aws" {
  alias  = "us"
  region = var.us.aws_region
}

locals {
  # Gateways answer health checks of the balancer, which come from its subnets.
  region_ingress = {
    senders = { port = 443, from = ["0.0.0.0/0"] }
    health  = { port = 9090, from = var.balancer_networks }
    relay   = { port = 4222, from = [for address in module.centre_hosts.public_addresses : "${address}/32"] }
    ssh     = { port = 22, from = var.operator_networks }
  }
  regions = {
    eu = { hosts = module.eu_hosts.hosts, of = var.eu, addresses = module.eu_hosts.public_addresses }
    us = { hosts = module.us_hosts.hosts, of = var.us, addresses = module.us_hosts.public_addresses }
  }
}

module "centre_hosts" {
  source        = "./hosts"
  providers     = { aws = aws.eu }
  name          = "centre"
  host_count    = var.centre.host_count
  subnet_ids    = var.centre.subnet_ids
  ami           = var.centre.ami
  instance_type = var.centre.instance_type
  disk_gib      = var.centre.disk_gib
  key_name      = var.key_name
  ingress = {
    admin = { port = 8400, from = var.operator_networks }
    ssh   = { port = 22, from = var.operator_networks }
  }
}

module "eu_hosts" {
  source        = "./hosts"
  providers     = { aws = aws.eu }
  name          = "eu"
  host_count    = var.eu.host_count
  subnet_ids    = var.eu.subnet_ids
  ami           = var.eu.ami
  instance_type = var.eu.instance_type
  disk_gib      = var.eu.disk_gib
  key_name      = var.key_name
  ingress       = local.region_ingress
}

module "eu_balancer" {
  source       = "./balancer"
  providers    = { aws = aws.eu }
  name         = "eu"
  vpc_id       = module.eu_hosts.vpc_id
  subnet_ids   = var.eu.subnet_ids
  host_count   = var.eu.host_count
  instance_ids = module.eu_hosts.instance_ids
}

module "us_hosts" {
  source        = "./hosts"
  providers     = { aws = aws.us }
  name          = "us"
  host_count    = var.us.host_count
  subnet_ids    = var.us.subnet_ids
  ami           = var.us.ami
  instance_type = var.us.instance_type
  disk_gib      = var.us.disk_gib
  key_name      = var.key_name
  ingress       = local.region_ingress
}

module "us_balancer" {
  source       = "./balancer"
  providers    = { aws = aws.us }
  name         = "us"
  vpc_id       = module.us_hosts.vpc_id
  subnet_ids   = var.us.subnet_ids
  host_count   = var.us.host_count
  instance_ids = module.us_hosts.instance_ids
}

module "floodgate" {
  source        = "../ssh"
  binaries      = var.binaries
  secrets_dir   = var.secrets_dir
  force_destroy = var.force_destroy
  ssh           = { ssh_user = "admin", private_key_file = var.private_key_file }
  centre = {
    hosts                = module.centre_hosts.hosts
    hold                 = var.centre.hold
    max_file_store_bytes = floor(var.centre.disk_gib * 1073741824 * 0.9)
  }
  regions = { for name, region in local.regions : name => {
    hosts             = region.hosts
    hold              = region.of.hold
    sender_names      = [var.sender_name]
    nats_urls         = [for address in region.addresses : "tls://${address}:4222"]
    nats_names        = region.addresses
    outage_hours      = region.of.outage_hours
    events_per_second = region.of.events_per_second
    event_bytes       = region.of.event_bytes
    # A network load balancer keeps the addresses of senders.
    gateway = { address_share_percent = 50 }
  } }
}

module "dns" {
  source    = "../../modules/dns"
  providers = { aws = aws.eu }
  zone_id   = var.zone_id
  name      = var.sender_name
  regions = {
    eu = { aws_region = var.eu.aws_region, balancer_name = module.eu_balancer.name, balancer_zone_id = module.eu_balancer.zone_id }
    us = { aws_region = var.us.aws_region, balancer_name = module.us_balancer.name, balancer_zone_id = module.us_balancer.zone_id }
  }
}
