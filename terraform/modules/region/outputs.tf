output "gateways" {
  description = "What belongs behind the region's balancer: TCP to `address`, health by GET of `health_url`."
  value = [for host in var.hosts : {
    name       = host.name
    address    = "${host.address}:${var.gateway.port}"
    health_url = "http://${host.address}:${var.gateway.metrics_port}/readyz"
  }]
}
