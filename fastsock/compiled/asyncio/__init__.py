"""asyncio's transports and streams."""
