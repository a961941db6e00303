from prefcenter.cli import main

main()
