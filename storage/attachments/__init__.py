"""The attachments' bytes. `local` keeps them as files under the data folder.

What a store owes the actions: to receive bytes under a fresh key, to open and to delete what is under one, to tell the
room that is left, and to name what it holds so that leftovers can be found.
"""
