variable "name" {
  description = "The region's name, as in relay.toml; never changes."
  type        = string
}

variable "hosts" {
  description = "1 or 3 hosts, rolled in the order of their names; `address` is where its group reaches it. 3 hosts keep three copies of every event and stay up while one is away."
  type = list(object({
    name             = string
    address          = string
    ssh_address      = optional(string)
    ssh_port         = optional(number, 22)
    ssh_user         = optional(string, "root")
    private_key_file = optional(string)
    host_key         = optional(string)
  }))
  validation {
    condition     = contains([1, 3], length(var.hosts))
    error_message = "A region has 1 or 3 hosts."
  }
}

variable "binaries" {
  description = "The programs to install: paths on the machine that runs Terraform, and their SHA-256."
  type = object({
    floodgate   = object({ path = string, sha256 = string })
    nats_server = object({ path = string, sha256 = string })
  })
}

variable "secrets" {
  description = "The region's folder of secrets and its version, from module secrets."
  type        = object({ dir = string, version = string })
}

variable "gateway" {
  description = "How the gateways run. `publish_timeout_ms` is 20000 with 3 hosts and 5000 with one, if it is not given. `address_share_percent` is 100 with 3 hosts, which a TCP balancer gives one address, and 50 with one. `tls = false` leaves TLS to a terminator in front."
  type = object({
    port                  = optional(number, 443)
    metrics_port          = optional(number, 9090)
    tls                   = optional(bool, true)
    drain_grace_seconds   = optional(number, 5)
    drain_timeout_seconds = optional(number, 30)
    memory_bytes          = optional(number, 268435456)
    publish_timeout_ms    = optional(number)
    address_share_percent = optional(number)
  })
  default = {}
  validation {
    condition     = contains(range(1, 101), coalesce(var.gateway.address_share_percent, 50))
    error_message = "address_share_percent is a whole number from 1 to 100."
  }
  validation {
    condition     = var.gateway.drain_grace_seconds + var.gateway.drain_timeout_seconds <= 80
    error_message = "drain_grace_seconds and drain_timeout_seconds together are at most 80: after 90 s a gateway is killed."
  }
}

variable "max_file_store_bytes" {
  description = "The most that nats-server may take on a host's disk."
  type        = number
}

variable "centre_ssh" {
  description = "How a host of the centre is reached: it is asked, before the region is removed, whether it has all that the region holds."
  type = object({
    host             = string
    port             = number
    user             = string
    private_key_file = optional(string)
    host_key         = optional(string)
    sudo             = string
  })
}

variable "force_destroy" {
  description = "Let the region be destroyed although it may hold events that the centre does not have: they are lost. Takes effect with an apply before the destroy."
  type        = bool
  default     = false
}

variable "centre_ready" {
  description = "The centre's output of that name: the region comes up after the centre, which makes its streams, and goes before the centre changes."
  type        = string
}

variable "hold" {
  description = "Run nats-server alone, without the gateway, so that a backup can be put back."
  type        = bool
  default     = false
}
