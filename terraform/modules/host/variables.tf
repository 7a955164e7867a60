variable "name" {
  description = "The host's name within the deployment, such as eu-1: its nats-server's and its gateway's or relay's name too."
  type        = string
}

variable "host" {
  description = "How Terraform reaches it, and its address for its group and the other side. Without a key file the SSH agent is asked."
  type = object({
    address          = string
    ssh_address      = optional(string)
    ssh_port         = optional(number, 22)
    ssh_user         = optional(string, "root")
    private_key_file = optional(string)
    host_key         = optional(string)
  })
}

variable "binaries" {
  description = "The programs to install: paths on the machine that runs Terraform, and their SHA-256."
  type = object({
    floodgate   = object({ path = string, sha256 = string })
    nats_server = object({ path = string, sha256 = string })
  })
}

variable "part" {
  description = "What runs beside nats-server."
  type        = string
  validation {
    condition     = contains(["gateway", "relay"], var.part)
    error_message = "A host runs a gateway or a relay."
  }
}

variable "nats_config" {
  description = "nats.conf."
  type        = string
}

variable "part_config" {
  description = "gateway.toml or relay.toml."
  type        = string
}

variable "ready_address" {
  description = "Where the part answers /readyz."
  type        = string
}

variable "peers" {
  description = "The other nats-servers of the group, as address:port of their routes."
  type        = list(string)
  default     = []
}

variable "admin_urls" {
  description = "On a centre's host: the admin API of every relay."
  type        = list(string)
  default     = []
}

variable "secrets_dir" {
  description = "Folder with the files that this host gets besides its configuration. Its content is never read by Terraform's language, so none of it is in the state."
  type        = string
}

variable "secrets_version" {
  description = "Another value means other secrets: they are uploaded again."
  type        = string
}

variable "after" {
  description = "The host of the group that is installed before this one: its output `install`."
  type        = string
  default     = ""
}

variable "hold" {
  description = "Run nats-server alone, without the part."
  type        = bool
  default     = false
}
