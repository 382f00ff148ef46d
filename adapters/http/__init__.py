"""HTTP to endpoints: pace, retries, limits, money, links."""
