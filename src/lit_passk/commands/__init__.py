"""What ``lit-passk COMMAND`` runs: one file each, imported when the command is used."""
