# Instances of one AWS region for one group of hosts: a Floodgate region or the centre.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

data "aws_subnet" "of" {
  for_each = toset(var.subnet_ids)
  id       = each.key
}

locals {
  vpc_id = data.aws_subnet.of[var.subnet_ids[0]].vpc_id
  names  = [for number in range(var.host_count) : "${var.name}-${number + 1}"]
}

resource "aws_security_group" "hosts" {
  name_prefix = "floodgate-${var.name}-"
  vpc_id      = local.vpc_id

  # Within the group: clients and routes of nats-server, metrics and health.
  ingress {
    from_port = 0
    to_port   = 65535
    protocol  = "tcp"
    self      = true
  }
  dynamic "ingress" {
    for_each = var.ingress
    content {
      description = ingress.key
      from_port   = ingress.value.port
      to_port     = ingress.value.port
      protocol    = "tcp"
      cidr_blocks = ingress.value.from
    }
  }
  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_instance" "host" {
  count                       = var.host_count
  ami                         = var.ami
  instance_type               = var.instance_type
  subnet_id                   = var.subnet_ids[count.index % length(var.subnet_ids)]
  vpc_security_group_ids      = [aws_security_group.hosts.id]
  key_name                    = var.key_name
  associate_public_ip_address = true
  user_data                   = file("${path.module}/disk.sh")
  tags                        = { Name = "floodgate-${local.names[count.index]}" }

  lifecycle {
    # A newer image is for a replaced host, one at a time, not for all of them at the next apply.
    ignore_changes = [ami, user_data]
  }
}

# Streams live on a disk of their own, which outlives the instance.
resource "aws_ebs_volume" "streams" {
  count             = var.host_count
  availability_zone = aws_instance.host[count.index].availability_zone
  size              = var.disk_gib
  type              = "gp3"
  iops              = var.disk_iops
  encrypted         = true
  tags              = { Name = "floodgate-${local.names[count.index]}" }
}

resource "aws_volume_attachment" "streams" {
  count       = var.host_count
  device_name = "/dev/sdf"
  instance_id = aws_instance.host[count.index].id
  volume_id   = aws_ebs_volume.streams[count.index].id
}

resource "aws_eip" "host" {
  count    = var.host_count
  instance = aws_instance.host[count.index].id
  domain   = "vpc"
}
