"""Small models trained on made pictures, with their weights: what the demo shows at work."""
