variable "secrets_dir" {
  description = "Folder for keys, tokens and certificates on the machine that runs Terraform; made 0700. What is in it stays: put your own files there before the first apply. Keep it as safe as the state, and back it up."
  type        = string
}

variable "floodgate" {
  description = "Path of a floodgate binary that runs on this machine; it makes the keys."
  type        = string
}

variable "deployment" {
  description = "Name of the deployment, in its CA's certificate."
  type        = string
}

variable "centre" {
  description = "The centre's hosts with the names and addresses that their certificates are for."
  type = object({
    rotation = number
    hosts    = map(list(string))
  })
}

variable "regions" {
  description = "Each region's hosts with the names and addresses that their certificates are for, and the names that senders use."
  type = map(object({
    rotation     = number
    hosts        = map(list(string))
    sender_names = list(string)
  }))
}
