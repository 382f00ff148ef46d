class Platform:
    def get_device_name(self) -> str | None: ...

current_platform: Platform
