"""What is said on the wire: entities, commands, events and refusals. Pure: no I/O, no clock, no asyncio."""
