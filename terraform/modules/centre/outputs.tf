output "admin_urls" {
  description = "The admin API of each relay; any of them will do."
  value       = local.admin_urls
}

output "ssh" {
  description = "How the first host is reached, for what a region asks before it goes."
  value       = module.group.ssh[0]
}

output "ready" {
  description = "Changes whenever something in the centre changed, once it is ready again. What depends on it goes before the centre does."
  value       = join(" ", concat(module.group.ready, [terraform_data.departure.id]))
}
