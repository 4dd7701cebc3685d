"""A relay that makes a server far away: `python benchmarks/delay.py HOST PORT MILLISECONDS` prints its own port.

Each chunk of bytes arrives half a round trip later, in order; the first one of the client's waits for one round trip
more, which is what a TCP handshake over that distance takes. The kernel's part (delayed ACKs, slow start) is that of
loopback, not of a long path.
"""

import asyncio
import sys


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float, first_s: float) -> None:
    """Hand the bytes on, each chunk after its delay."""
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def deliver() -> None:
        while True:
            due, data = await chunks.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not data:
                writer.write_eof()
                return
            writer.write(data)

    delivering = asyncio.create_task(deliver())
    earliest = loop.time() + first_s
    while True:
        data = await reader.read(65536)
        chunks.put_nowait((max(loop.time(), earliest) + delay_s, data))
        if not data:
            break
    await delivering


async def main(host: str, port: int, round_trip_s: float) -> None:
    """Relay until the process is ended."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        their_reader, their_writer = await asyncio.open_connection(host, port)
        ways = (
            carry(reader, their_writer, round_trip_s / 2, round_trip_s),
            carry(their_reader, writer, round_trip_s / 2, 0.0),
        )
        await asyncio.gather(*ways, return_exceptions=True)
        for one in (writer, their_writer):
            one.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]) / 1000))
