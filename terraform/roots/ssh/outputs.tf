output "admin_urls" {
  description = "The admin API."
  value       = module.centre.admin_urls
}

output "admin_token_file" {
  description = "Where the admin API's token is on this machine."
  value       = module.secrets.admin_token_file
}

output "ca_file" {
  description = "The deployment's CA; it also made the senders' certificate where no other was given."
  value       = module.secrets.ca_file
}

output "gateways" {
  description = "By region, what belongs behind its balancer."
  value       = { for name, region in module.region : name => region.gateways }
}
