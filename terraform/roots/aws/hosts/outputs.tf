output "hosts" {
  description = "The hosts as the modules take them. Reached from outside by their fixed addresses once their disk is there."
  value = [for number, name in local.names : {
    name        = name
    address     = aws_instance.host[number].private_ip
    ssh_address = aws_volume_attachment.streams[number].instance_id == "" ? null : aws_eip.host[number].public_ip
  }]
}

output "public_addresses" {
  description = "The hosts' fixed addresses."
  value       = aws_eip.host[*].public_ip
}

output "instance_ids" {
  value = aws_instance.host[*].id
}

output "vpc_id" {
  value = local.vpc_id
}
