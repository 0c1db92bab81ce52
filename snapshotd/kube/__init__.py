"""The cluster: the only importer of kubernetes_asyncio and of aiohttp's client."""
