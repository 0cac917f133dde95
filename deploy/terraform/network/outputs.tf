# Whoever starts machines by these outputs waits for the way to S3 and the endpoints: a machine that is up before them fails
# to set itself up.

output "vpc_id" {
  description = "ID of the network."
  value       = aws_vpc.this.id
  depends_on  = [aws_vpc_endpoint.s3, aws_vpc_endpoint.interface, aws_route_table_association.private]
}

output "subnet_ids" {
  description = "IDs of its private subnets, one per zone."
  value       = aws_subnet.private[*].id
  depends_on  = [aws_vpc_endpoint.s3, aws_vpc_endpoint.interface, aws_route_table_association.private]
}

output "endpoint_security_group_id" {
  description = "ID of the security group of the interface endpoints."
  value       = aws_security_group.endpoints.id
  depends_on  = [aws_vpc_endpoint.s3, aws_vpc_endpoint.interface, aws_route_table_association.private]
}
