variable "binaries" {
  description = "As in roots/ssh."
  type        = object({ floodgate = string, nats_server = string, local_floodgate = optional(string) })
}

variable "secrets_dir" {
  description = "As in roots/ssh. The senders' certificate goes there, as tls.pem and tls.key in regions/NAME."
  type        = string
  default     = "secrets"
}

variable "key_name" {
  description = "The SSH key's name in EC2, in both AWS regions."
  type        = string
}

variable "private_key_file" {
  description = "The SSH key's private half on this machine; the SSH agent is asked without it."
  type        = string
  default     = null
}

variable "operator_networks" {
  description = "Networks from which hosts and admin API are reached. The admin API has no TLS: better a VPN's."
  type        = list(string)
}

variable "balancer_networks" {
  description = "Networks of the subnets that the balancers are in: their health checks come from there."
  type        = list(string)
}

variable "zone_id" {
  description = "The hosted zone that the senders' name is in."
  type        = string
}

variable "sender_name" {
  description = "The name that senders use."
  type        = string
}

variable "force_destroy" {
  description = "As in roots/ssh."
  type        = bool
  default     = false
}

variable "centre" {
  description = "The centre; in the AWS region of eu. `hold` as in roots/ssh."
  type = object({
    host_count    = number
    subnet_ids    = list(string)
    ami           = string
    instance_type = string
    disk_gib      = number
    hold          = optional(bool, false)
  })
}

variable "eu" {
  description = "The region eu."
  type = object({
    aws_region        = string
    host_count        = number
    subnet_ids        = list(string)
    ami               = string
    instance_type     = string
    disk_gib          = number
    outage_hours      = optional(number, 24)
    events_per_second = optional(number, 100)
    event_bytes       = optional(number, 2048)
    hold              = optional(bool, false)
  })
}

variable "us" {
  description = "The region us."
  type = object({
    aws_region        = string
    host_count        = number
    subnet_ids        = list(string)
    ami               = string
    instance_type     = string
    disk_gib          = number
    outage_hours      = optional(number, 24)
    events_per_second = optional(number, 100)
    event_bytes       = optional(number, 2048)
    hold              = optional(bool, false)
  })
}
