from prefcenter import create_app

app = create_app()
