"use strict";

// A room with Socket.IO 4 and better-sqlite3, as its documentation has it: node server.cjs PORT FOLDER

const fs = require("node:fs");
const path = require("node:path");
const Database = require("better-sqlite3");
const { Server } = require("socket.io");

const [port, folder] = process.argv.slice(2);
const rooms = new Map();
fs.readFileSync(path.join(folder, "rooms.txt"), "utf8")
  .trimEnd()
  .split("\n")
  .forEach((line, index) => rooms.set(index + 1, new Set(line.split(" "))));

const database = new Database(path.join(folder, "messages.db"));
database.pragma("journal_mode = WAL");
database.pragma("synchronous = FULL");
// The tables of database.py.
database.exec(fs.readFileSync(path.join(folder, "schema.sql"), "utf8"));
const conversation = database.prepare("INSERT INTO conversations (id) VALUES (?)");
for (const number of rooms.keys()) conversation.run(number);

const insert = database.prepare(`
  INSERT INTO messages (conversation_id, seq, sender_id, created_at, temp_id, text)
  SELECT id, last_seq + 1, ?, ?, ?, ? FROM conversations WHERE id = ?
  RETURNING id, seq`);
const update = database.prepare("UPDATE conversations SET last_seq = ?, last_message_id = ? WHERE id = ?");
const store = database.transaction((sender, frame) => {
  const now = Date.now();
  const { id, seq } = insert.get(sender, now, frame.temp_id, frame.text, frame.conversation_id);
  update.run(seq, id, frame.conversation_id);
  return {
    id,
    conversation_id: frame.conversation_id,
    seq,
    sender_id: sender,
    text: frame.text,
    attachments: [],
    created_at: now,
  };
});

const io = new Server(Number(port), { transports: ["websocket"], serveClient: false });
io.on("connection", (socket) => {
  const person = socket.handshake.query.person;
  for (const [number, members] of rooms) if (members.has(person)) socket.join(String(number));
  socket.on("send_message", (frame, acknowledge) => {
    const message = store(Number(person), frame);
    acknowledge({
      temp_id: frame.temp_id,
      event_id: message.id,
      message: { ...message, temp_id: frame.temp_id },
    });
    socket.to(String(frame.conversation_id)).emit("new_message", {
      type: "new_message",
      event_id: message.id,
      conversation_id: frame.conversation_id,
      message,
    });
  });
});
