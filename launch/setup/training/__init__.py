"""Makes the small trained models of the demo: `make train-tiny`. Nothing of it runs in a demo."""
