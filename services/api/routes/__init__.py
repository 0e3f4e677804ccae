"""The endpoints, a file a subject. They translate between HTTP and the parts, and decide nothing."""
