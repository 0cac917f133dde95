# A coordinator that runs on a schedule, and a group of workers that wait for it.
#
#   network.tf      who may speak to whom
#   iam.tf          a role for the coordinator, a role for workers
#   coordinator.tf  one machine with an address that stays
#   workers.tf      the group, on-demand and spot

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  name = var.lake.name
  tags = var.lake.tags
  port = 50051

  # EC2 looks the newest image up when a machine starts.
  image = coalesce(var.ami_id, "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-${var.lake.architecture}")

  arguments = {
    coordinator = concat(
      ["--role", "coordinator"], var.lake.arguments.coordinator, ["--schedule", var.run_schedule],
      var.coordinator_memory == null ? [] : ["--memory", var.coordinator_memory],
    )
    worker = concat(
      ["--role", "worker"], var.lake.arguments.worker, ["--coordinator", "${aws_network_interface.coordinator.private_ip}:${local.port}"],
      var.worker_memory == null ? [] : ["--memory", var.worker_memory],
    )
  }

  user_data = { for role, arguments in local.arguments : role => templatefile("${path.module}/user_data.sh.tftpl", {
    role      = role
    region    = data.aws_region.current.region
    bootstrap = var.lake.bootstrap
    # Machines of before do not know an authority that was made since.
    certificates = var.lake.certificates_hash
    # Each argument is one word for the shell, whatever is in it.
    arguments = join(" ", [for argument in arguments : "'${replace(argument, "'", "'\\''")}'"])
  }) }
}
