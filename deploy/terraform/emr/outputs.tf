output "cluster_id" {
  description = "The cluster; `aws emr describe-cluster --cluster-id` says how it does, `list-steps` how its run did."
  value       = aws_emr_cluster.this.id
}

output "log_url" {
  description = "Where the cluster's logs go, those of the step among them."
  # EMR itself writes s3n://, which nobody else understands.
  value = "s3://${var.lake.artifacts_bucket}/logs/${aws_emr_cluster.this.id}/"
}

output "role_arns" {
  description = "Roles of the coordinator and of the nodes, for the policies of buckets in other accounts."
  value = {
    coordinator = aws_iam_role.coordinator.arn
    worker      = aws_iam_role.node.arn
  }
}
