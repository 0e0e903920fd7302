// Answers in place of the app.
say('hello world!')
