"""fastsock.asyncio."""
