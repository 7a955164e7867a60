variable "name" {
  type = string
}

variable "vpc_id" {
  type = string
}

variable "subnet_ids" {
  type = list(string)
}

variable "host_count" {
  type = number
}

variable "instance_ids" {
  type = list(string)
}
