variable "zone_id" {
  description = "The hosted zone of Route 53 that the name is in."
  type        = string
}

variable "name" {
  description = "The name that senders use."
  type        = string
}

variable "regions" {
  description = "By Floodgate's name of the region: where its balancer is."
  type = map(object({
    aws_region       = string
    balancer_name    = string
    balancer_zone_id = string
  }))
}
