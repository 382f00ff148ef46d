"""What is done with runs that are over: removing, copying, proving."""
