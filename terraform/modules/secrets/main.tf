# Keys, tokens and certificates, made by `floodgate keys` into a folder.
# Terraform knows only when to make them.

locals {
  tools = sha256(join("", [for file in sort(tolist(fileset("${path.module}/files", "*"))) : filesha256("${path.module}/files/${file}")]))
  # "eu-1=10.0.0.1,nats.example" for each host
  hosts = {
    for group, of in merge(var.regions, { "" = var.centre }) :
    group => join(" ", [for host, names in of.hosts : "${host}=${join(",", names)}"])
  }
  dir = abspath(pathexpand(var.secrets_dir))
}

# Made once: another folder or another name makes no other CA.
# The folder keeps this one's id, by which it is known again.
resource "terraform_data" "ca" {
  provisioner "local-exec" {
    command     = "${path.module}/files/ca.sh"
    environment = { FLOODGATE = var.floodgate, SECRETS = local.dir, DEPLOYMENT = var.deployment, CA_ID = self.id }
  }
}

resource "terraform_data" "region" {
  for_each         = var.regions
  triggers_replace = [terraform_data.ca.id, local.tools, each.value.rotation, local.hosts[each.key], each.value.sender_names]
  provisioner "local-exec" {
    command = "${path.module}/files/region.sh"
    environment = {
      FLOODGATE    = var.floodgate
      CA_ID        = terraform_data.ca.id
      SECRETS      = local.dir
      REGION       = each.key
      ROTATION     = each.value.rotation
      HOSTS        = local.hosts[each.key]
      SENDER_NAMES = join(",", each.value.sender_names)
    }
  }
}

resource "terraform_data" "centre" {
  triggers_replace = [
    terraform_data.ca.id, local.tools, var.centre.rotation, local.hosts[""],
    { for name, region in terraform_data.region : name => region.id },
  ]
  provisioner "local-exec" {
    command = "${path.module}/files/centre.sh"
    environment = {
      FLOODGATE = var.floodgate
      CA_ID     = terraform_data.ca.id
      SECRETS   = local.dir
      ROTATION  = var.centre.rotation
      HOSTS     = local.hosts[""]
      REGIONS   = join(" ", [for name, region in var.regions : "${name}=${region.rotation}"])
    }
  }
}
