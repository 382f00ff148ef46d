"""Pictures that come in and go out: the firewall, contact sheets, chat content."""
