# A network load balancer: TCP through to the gateways, which end TLS; only to those that say they are ready.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

resource "aws_lb" "region" {
  name                             = "floodgate-${var.name}"
  load_balancer_type               = "network"
  subnets                          = var.subnet_ids
  enable_cross_zone_load_balancing = true
}

resource "aws_lb_target_group" "gateways" {
  name                 = "floodgate-${var.name}"
  port                 = 443
  protocol             = "TCP"
  vpc_id               = var.vpc_id
  deregistration_delay = 30

  health_check {
    protocol            = "HTTP"
    port                = "9090"
    path                = "/readyz"
    interval            = 5
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}

resource "aws_lb_target_group_attachment" "gateway" {
  count            = var.host_count
  target_group_arn = aws_lb_target_group.gateways.arn
  target_id        = var.instance_ids[count.index]
}

resource "aws_lb_listener" "senders" {
  load_balancer_arn = aws_lb.region.arn
  port              = 443
  protocol          = "TCP"

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.gateways.arn
  }
}
