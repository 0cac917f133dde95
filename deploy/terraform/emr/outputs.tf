output "cluster_id" {
  description = "ID of the cluster; `aws emr describe-cluster --cluster-id` shows its state, and `list-steps` that of its run."
  value       = aws_emr_cluster.this.id
}

output "log_url" {
  description = "URL of the cluster's logs, including those of the step."
  # EMR itself writes s3n://, which nobody else understands.
  value = "s3://${var.lake.artifacts_bucket}/logs/${aws_emr_cluster.this.id}/"
}

output "role_arns" {
  description = "ARNs of the roles of coordinator and nodes, for policies of buckets in other accounts."
  value = {
    coordinator = aws_iam_role.coordinator.arn
    worker      = aws_iam_role.node.arn
  }
}
