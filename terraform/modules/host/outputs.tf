output "install" {
  description = "Changes whenever something on the host changed."
  value       = terraform_data.install.id
}

output "ssh" {
  description = "How this host is reached. No secrets: the key is a path."
  value       = merge(local.ssh, { sudo = local.sudo })
}
