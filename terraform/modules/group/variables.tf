variable "name" {
  description = "The group's name: of its nats-servers' cluster."
  type        = string
}

variable "part" {
  description = "What runs beside nats-server: `gateway` or `relay`."
  type        = string
}

variable "hosts" {
  description = "1 or 3 hosts in the order in which they are rolled, with what differs between region and centre."
  type = list(object({
    host = object({
      name             = string
      address          = string
      ssh_address      = optional(string)
      ssh_port         = optional(number)
      ssh_user         = optional(string)
      private_key_file = optional(string)
      host_key         = optional(string)
    })
    part_config   = string
    ready_address = string
  }))
}

variable "binaries" {
  description = "The programs to install: paths on the machine that runs Terraform, and their SHA-256."
  type = object({
    floodgate   = object({ path = string, sha256 = string })
    nats_server = object({ path = string, sha256 = string })
  })
}

variable "secrets" {
  description = "The group's folder of secrets and its version, from module secrets."
  type        = object({ dir = string, version = string })
}

variable "max_file_store_bytes" {
  description = "The most that nats-server may take on a host's disk."
  type        = number
}

variable "admin_urls" {
  description = "In the centre: the admin API of every relay."
  type        = list(string)
  default     = []
}

variable "after" {
  description = "What the first host waits for."
  type        = string
  default     = ""
}

variable "hold" {
  description = "Run nats-server alone, without the part."
  type        = bool
  default     = false
}
