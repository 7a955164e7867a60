output "ssh" {
  description = "How each host is reached, in the order of `hosts`."
  value       = local.ssh
}

output "ready" {
  description = "Changes whenever something in the group changed, once it is ready again."
  value       = terraform_data.ready[*].id
}
