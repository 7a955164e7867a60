# One name for senders, answered with the nearest region that is well.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

# Asked from several places of the world, through the region's balancer.
resource "aws_route53_health_check" "region" {
  for_each          = var.regions
  type              = "HTTPS"
  fqdn              = each.value.balancer_name
  port              = 443
  resource_path     = "/readyz"
  request_interval  = 10
  failure_threshold = 2
  tags              = { Name = "floodgate-${each.key}" }
}

resource "aws_route53_record" "region" {
  for_each        = var.regions
  zone_id         = var.zone_id
  name            = var.name
  type            = "A"
  set_identifier  = each.key
  health_check_id = aws_route53_health_check.region[each.key].id

  latency_routing_policy {
    region = each.value.aws_region
  }
  alias {
    name                   = each.value.balancer_name
    zone_id                = each.value.balancer_zone_id
    evaluate_target_health = true
  }
}
