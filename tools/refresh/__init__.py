"""Files about models that somebody collected -> specs and changes to specs, for a person to review.

`collected` finds the files and says which model each is about; `reading` and `listings` say what
they state; `comparing` holds that against the catalogue; `editing` changes the text of a spec file;
`proposing` makes new specs; `report` writes down what was done.
"""
