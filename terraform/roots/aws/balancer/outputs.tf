output "name" {
  value = aws_lb.region.dns_name
}

output "zone_id" {
  value = aws_lb.region.zone_id
}
