# What goes on one host, and in which order. Everything is done over SSH by Terraform's own provisioners.

locals {
  ssh = {
    host             = coalesce(var.host.ssh_address, var.host.address)
    port             = var.host.ssh_port
    user             = var.host.ssh_user
    private_key_file = var.host.private_key_file
    host_key         = var.host.host_key
  }
  sudo     = local.ssh.user == "root" ? "" : "sudo -n "
  staging  = ".floodgate-staging"
  programs = { "floodgate" = var.binaries.floodgate, "nats-server" = var.binaries.nats_server }
  releases = { for name, program in local.programs : name => "${name}-${substr(program.sha256, 0, 12)}" }
  # Read by bash; nothing in it is secret.
  settings = join("\n", [
    "SERVICES='nats ${var.part}'",
    "HELD='${var.hold ? var.part : ""}'",
    "READY_ADDRESS='${var.ready_address}'",
    "PEERS='${join(" ", var.peers)}'",
    "ADMIN_URLS='${join(" ", var.admin_urls)}'",
    "FLOODGATE_RELEASE='${local.releases["floodgate"]}'",
    "NATS_RELEASE='${local.releases["nats-server"]}'",
    "",
  ])
  files = {
    "config/nats.conf"        = var.nats_config
    "config/${var.part}.toml" = var.part_config
    "host.env"                = local.settings
  }
  tools = join("", [
    for file in fileset("${path.module}/files", "**") : filesha256("${path.module}/files/${file}")
  ])
}

# The host itself. Destroyed last; then nothing of Floodgate is left on it, if its group was allowed to go.
# Another way in is no other host.
resource "terraform_data" "presence" {
  input = {
    ssh  = local.ssh
    sudo = local.sudo
  }
  triggers_replace = [var.name, var.host.address]

  provisioner "remote-exec" {
    when       = destroy
    on_failure = continue
    inline     = ["${self.input.sudo}/opt/floodgate/bin/floodgate-host uninstall"]
    connection {
      host        = self.input.ssh.host
      port        = self.input.ssh.port
      user        = self.input.ssh.user
      private_key = self.input.ssh.private_key_file == null ? null : file(self.input.ssh.private_key_file)
      host_key    = self.input.ssh.host_key
      timeout     = "30s"
    }
  }
}

# A program is uploaded when it changes and stays on the host as a release; nothing uses it before `install`.
resource "terraform_data" "release" {
  for_each         = local.programs
  triggers_replace = [terraform_data.presence.id, each.value.sha256]

  connection {
    host        = local.ssh.host
    port        = local.ssh.port
    user        = local.ssh.user
    private_key = local.ssh.private_key_file == null ? null : file(local.ssh.private_key_file)
    host_key    = local.ssh.host_key
  }
  provisioner "remote-exec" {
    inline = ["install -d -m 0700 ${local.staging}-${each.key}"]
  }
  provisioner "file" {
    source      = "${path.module}/files/store-release.sh"
    destination = "${local.staging}-${each.key}/store-release.sh"
  }
  provisioner "file" {
    source      = each.value.path
    destination = "${local.staging}-${each.key}/${each.key}"
  }
  provisioner "remote-exec" {
    inline = [join(" ", [
      "${local.sudo}bash ${local.staging}-${each.key}/store-release.sh ${local.staging}-${each.key}/${each.key}",
      local.releases[each.key], each.value.sha256,
    ])]
  }
}

# Configuration, secrets and services. The installer restarts what changed, and returns
# when this host is ready again.
resource "terraform_data" "install" {
  # Only makes this host wait for the one before it: a change of an input runs nothing.
  input = var.after
  triggers_replace = [
    terraform_data.release["floodgate"].id,
    terraform_data.release["nats-server"].id,
    var.secrets_version,
    sha256(jsonencode([local.files, local.tools])),
  ]

  connection {
    host        = local.ssh.host
    port        = local.ssh.port
    user        = local.ssh.user
    private_key = local.ssh.private_key_file == null ? null : file(local.ssh.private_key_file)
    host_key    = local.ssh.host_key
  }
  # 0700 before anything secret is in it. What is written here is not secret.
  provisioner "remote-exec" {
    inline = concat(
      ["set -e", "${local.sudo}rm -rf ${local.staging}", "install -d -m 0700 ${local.staging} ${local.staging}/secrets ${local.staging}/config"],
      [for file, content in local.files : "echo ${base64encode(content)} | base64 -d >${local.staging}/${file}"],
    )
  }
  provisioner "file" {
    source      = "${path.module}/files/"
    destination = local.staging
  }
  provisioner "file" {
    source      = "${var.secrets_dir}/"
    destination = "${local.staging}/secrets"
  }
  provisioner "remote-exec" {
    inline = ["${local.sudo}bash ${local.staging}/install.sh"]
  }
}
