variable "hosts" {
  description = "1 or 3 hosts, rolled in the order of their names. With 3 another relay takes over when one is away."
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
    error_message = "A centre has 1 or 3 hosts."
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
  description = "The centre's folder of secrets and its version, from module secrets."
  type        = object({ dir = string, version = string })
}

variable "regions" {
  description = "The regions to copy from: the URLs of their nats-servers as seen from here, how many copies their streams have, and the most that each lane may hold, in bytes."
  type = map(object({
    nats_urls = list(string)
    replicas  = number
    max_bytes = object({ critical = number, standard = number, bulk = number })
  }))
}

variable "relay" {
  description = "How the relays run; see relay.toml in the README. `lease_seconds` is 30 with 3 hosts and 10 with one, if it is not given. `shards` stays what it was at first."
  type = object({
    admin_port     = optional(number, 8400)
    metrics_port   = optional(number, 9400)
    lease_seconds  = optional(number)
    shards         = optional(number, 1)
    window_days    = optional(number, 7)
    kept_seconds   = optional(number, 86400)
    allow_networks = optional(list(string), [])
  })
  default = {}
  validation {
    condition     = contains(range(1, 65), var.relay.shards)
    error_message = "shards is 1 to 64."
  }
}

variable "max_file_store_bytes" {
  description = "The most that nats-server may take on a host's disk."
  type        = number
}

variable "force_destroy" {
  description = "Let the centre be destroyed although deliveries are pending: they are lost. Takes effect with an apply before the destroy."
  type        = bool
  default     = false
}

variable "hold" {
  description = "Run nats-server alone, without the relay, so that a backup can be put back."
  type        = bool
  default     = false
}
