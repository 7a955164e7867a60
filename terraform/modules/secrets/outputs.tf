output "region" {
  description = "Each region's folder, and a version that changes with its content."
  value       = { for name, made in terraform_data.region : name => { dir = "${local.dir}/regions/${name}/hosts", version = made.id } }
}

output "centre" {
  description = "The centre's folder, and a version that changes with its content."
  value       = { dir = "${local.dir}/centre/hosts", version = terraform_data.centre.id }
}

output "admin_token_file" {
  description = "Where the admin API's token is."
  value       = "${local.dir}/centre/admin.token"
}

output "ca_file" {
  description = "The deployment's CA."
  value       = "${local.dir}/ca/ca.pem"
}
