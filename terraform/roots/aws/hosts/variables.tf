variable "name" {
  description = "Of the group; hosts are NAME-1, NAME-2, NAME-3."
  type        = string
}

variable "host_count" {
  description = "1 or 3."
  type        = number
}

variable "subnet_ids" {
  description = "Public subnets, best in three zones."
  type        = list(string)
}

variable "ami" {
  description = "Debian 12 or newer, for the processor that the programs were built for."
  type        = string
}

variable "instance_type" {
  description = "At least 4 GiB of memory for a region."
  type        = string
}

variable "key_name" {
  description = "The SSH key, known to EC2."
  type        = string
}

variable "disk_gib" {
  description = "For the streams: see the sizing in docs/operations/sizing.md."
  type        = number
}

variable "disk_iops" {
  description = "Each block of events is a sync."
  type        = number
  default     = 3000
}

variable "ingress" {
  description = "Ports that are open besides those within the group, by what they are for."
  type        = map(object({ port = number, from = list(string) }))
}
