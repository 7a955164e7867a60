variable "deployment" {
  description = "Name of the deployment, in its CA's certificate."
  type        = string
  default     = "floodgate"
}

variable "binaries" {
  description = "Paths of the programs for the hosts; `local_floodgate` if that one does not run on this machine."
  type = object({
    floodgate       = string
    nats_server     = string
    local_floodgate = optional(string)
  })
}

variable "secrets_dir" {
  description = "Folder for keys, tokens and certificates; made if it is not there."
  type        = string
  default     = "secrets"
}

variable "ssh" {
  description = "How hosts are reached, where a host does not say otherwise. Without a key file the SSH agent is asked."
  type = object({
    ssh_port         = optional(number)
    ssh_user         = optional(string)
    private_key_file = optional(string)
  })
  default = {}
}

variable "centre" {
  description = "The centre: 1 or 3 hosts. `lease_seconds` is 30 with 3 hosts and 10 with one, if it is not given, and `shards` stays what it was at first. A higher rotation makes new keys and certificates. hold: no relay runs, only nats-server, while a backup is put back."
  type = object({
    hosts = list(object({
      name             = string
      address          = string
      ssh_address      = optional(string)
      ssh_port         = optional(number)
      ssh_user         = optional(string)
      private_key_file = optional(string)
      host_key         = optional(string)
    }))
    rotation             = optional(number, 1)
    hold                 = optional(bool, false)
    max_file_store_bytes = optional(number, 274877906944)
    relay = optional(object({
      admin_port     = optional(number, 8400)
      metrics_port   = optional(number, 9400)
      lease_seconds  = optional(number)
      shards         = optional(number, 1)
      window_days    = optional(number, 7)
      kept_seconds   = optional(number, 86400)
      allow_networks = optional(list(string), [])
    }), {})
  })
}

variable "regions" {
  description = "The regions by name, each with 1 or 3 hosts. gateway.publish_timeout_ms is 20000 with 3 hosts and 5000 with one, if it is not given; gateway.address_share_percent is 100 with 3 hosts, which a TCP balancer gives one address, and 50 with one: set 50 for a balancer that keeps addresses. nats_urls: its nats-servers as the centre reaches them, if not by the hosts' addresses; nats_names: the names in those URLs. sender_names: what the certificate for senders is made for; put your own as tls.pem and tls.key into regions/NAME of the folder of secrets. hold: no gateway runs, only nats-server, while a backup is put back."
  type = map(object({
    hosts = list(object({
      name             = string
      address          = string
      ssh_address      = optional(string)
      ssh_port         = optional(number)
      ssh_user         = optional(string)
      private_key_file = optional(string)
      host_key         = optional(string)
    }))
    rotation     = optional(number, 1)
    hold         = optional(bool, false)
    sender_names = optional(list(string), [])
    nats_urls    = optional(list(string))
    nats_names   = optional(list(string), [])
    gateway = optional(object({
      port                  = optional(number, 443)
      metrics_port          = optional(number, 9090)
      tls                   = optional(bool, true)
      drain_grace_seconds   = optional(number, 5)
      drain_timeout_seconds = optional(number, 30)
      memory_bytes          = optional(number, 268435456)
      publish_timeout_ms    = optional(number)
      address_share_percent = optional(number)
    }), {})
    # The longest outage of the link that the region's disk is to bridge.
    outage_hours      = optional(number, 24)
    events_per_second = optional(number, 100)
    event_bytes       = optional(number, 2048)
    lane_shares       = optional(object({ critical = number, standard = number, bulk = number }), { critical = 0.5, standard = 1, bulk = 0.5 })
  }))
  validation {
    condition     = length(var.regions) > 0
    error_message = "The relay needs a region at least."
  }
  validation {
    condition     = alltrue([for region in values(var.regions) : region.gateway.drain_grace_seconds + region.gateway.drain_timeout_seconds <= 80])
    error_message = "drain_grace_seconds and drain_timeout_seconds together are at most 80: after 90 s a gateway is killed."
  }
}

variable "store_reserve_bytes" {
  description = "What a region's nats-server may take on disk besides its lanes: refused and held requests (64 MiB each, unless the relay's `rejects` says otherwise), snapshot, handlers."
  type        = number
  default     = 2147483648
}

variable "force_destroy" {
  description = "Let what is destroyed next lose events. Apply with true first, then destroy."
  type        = bool
  default     = false
}
