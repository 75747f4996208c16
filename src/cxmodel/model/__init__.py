"""What a journey is: frozen values without arrays, files or engines."""
